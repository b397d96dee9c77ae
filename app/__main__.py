"""`python -m app` is `tapereader`."""

from app.commands import main

if __name__ == "__main__":
    main()
