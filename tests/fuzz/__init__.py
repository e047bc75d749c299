"""Every decoder of stored bytes, given bytes that nobody wrote."""
