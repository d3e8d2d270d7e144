"""The steps of a sale in batches: payments that are reserved and recorded, and webhooks that pay orders."""
