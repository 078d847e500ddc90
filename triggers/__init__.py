"""Where events come in: each module or package here is one kind of trigger."""
