"""Pure decisions: what should happen next, given what is. The workers carry them out."""
