"""The journal's schema, step by step. Run at open; see `hub.routing.journal.database`."""
