"""The moving parts, free of any protocol: they are given numbers and Protocol objects, never a Config."""
