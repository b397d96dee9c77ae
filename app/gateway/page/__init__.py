"""The page: TypeScript, and what builds it."""
