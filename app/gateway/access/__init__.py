"""Who may: keys, tokens, sign-in by a provider, and the identity that they end in."""
