"""What every stage stands on, and knows no stage: errors, files, the lock, processes, the network's variables."""
