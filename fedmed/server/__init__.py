"""What stands between visitors and Gradio: routes, sizes, queues, cleanup."""
