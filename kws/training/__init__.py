"""Training a network: batches, losses, what happens after an epoch, and how a killed run goes on."""
