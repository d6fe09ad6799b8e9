"""The studio: pages where the desk assembles, approves, sends and looks back."""
