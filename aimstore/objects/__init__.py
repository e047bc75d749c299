"""The object types that aimstore ships: texts, images, sounds, distributions and figures, to be tracked or stored.

    run.track(Image(pixels, caption="epoch 3"), name="samples")
    run["weights", "first"] = Distribution(layer.weight)

Each is immutable, and holds what is stored: reading one back decodes no pixels or samples until they are asked for. The
libraries that they need (NumPy, Pillow, Plotly) are imported when they are needed.
"""

from aimstore.objects.audio import Audio
from aimstore.objects.distribution import Distribution
from aimstore.objects.figure import Figure
from aimstore.objects.image import Image
from aimstore.objects.text import Text

__all__ = ["Audio", "Distribution", "Figure", "Image", "Text"]
