"""The commands for a model, a file of chats and a direction: `mechkit extract`, `mechkit measure`, `mechkit steer`."""
