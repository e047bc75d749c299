"""Other tools beside aimstore: their environments, their loops, and the rows of the table."""
