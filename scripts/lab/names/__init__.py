"""The sample `names`: names of flows beyond TLS over TCP, and what tells them."""
