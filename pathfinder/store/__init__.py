"""PostgreSQL, the single source of truth: tables, one module per noun, the event log and the outbox."""
