"""The object types of aimstore: texts, images, sounds, distributions and figures, to be tracked or stored.

    run.track(Image(pixels, caption="epoch 3"), name="samples")
    run["weights", "first"] = Distribution(layer.weight)

Each object is immutable and holds the stored data: pixels or samples are decoded only on request. The required
libraries (NumPy, Pillow, Plotly) are imported when needed.
"""

from aimstore.objects.audio import Audio
from aimstore.objects.distribution import Distribution
from aimstore.objects.figure import Figure
from aimstore.objects.image import Image
from aimstore.objects.text import Text

__all__ = ["Audio", "Distribution", "Figure", "Image", "Text"]
