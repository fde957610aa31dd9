"""Images to features: each image and view passes the frozen backbone once, and is kept."""
