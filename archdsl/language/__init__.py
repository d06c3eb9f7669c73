"""Text, syntax tree and diagnostics: everything that knows the language and nothing that knows tensors."""
