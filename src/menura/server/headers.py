"""Headers of all answers: what a browser may do with them."""

__all__ = ["HEADERS"]

POLICY = (
    "default-src 'none'",
    "connect-src 'self'",  # sockets of the same host among them, in all browsers since Safari 15.4
    "script-src 'self'",  # worklets are scripts
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "media-src 'self' blob:",  # sound that the page itself has made
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
"""Everything comes from this server: no inline scripts, styles or handlers, no ``eval``, no frames, no plugins."""

HEADERS = {
    "Content-Security-Policy": "; ".join(POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), speaker-selection=(self), camera=(), geolocation=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}
"""No Strict-Transport-Security: the server speaks plain HTTP; a proxy with TLS adds it."""
