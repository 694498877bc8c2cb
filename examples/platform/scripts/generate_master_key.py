"""Print a new master key for SECRETS_MASTER_KEY. Keep it where you keep such things: there is no other copy."""

from strongroom import generate_master_key

if __name__ == "__main__":
    print(generate_master_key())
