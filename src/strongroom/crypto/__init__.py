"""The only modules that call a cipher, a KDF or a MAC."""
