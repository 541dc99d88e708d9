"""The control protocol: messages as typed values, and the rules of when each may be sent. No sockets here."""
