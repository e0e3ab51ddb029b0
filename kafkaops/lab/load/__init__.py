"""The lab's load: real clients in processes of their own, a ledger, and a judge of the ledger."""
