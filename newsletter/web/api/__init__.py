"""The JSON interface. Each version is a module; its shapes do not change once published."""
