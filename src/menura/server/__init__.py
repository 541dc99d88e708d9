"""The server: the control socket, and the page."""
