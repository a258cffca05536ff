"""`python -m smart_audit.cli`."""

from smart_audit.cli.main import main

if __name__ == "__main__":
    main()
