"""The browser interface: Gradio lives here and nowhere below."""
