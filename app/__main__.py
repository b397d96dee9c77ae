"""`python -m app` is `tapereader`."""

from app.cli import main

if __name__ == "__main__":
    main()
