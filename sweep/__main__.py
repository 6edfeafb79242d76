"""`python -m sweep`."""

from sweep.import_order import put_working_folder_last

if __name__ == "__main__":
    put_working_folder_last()

    from sweep.cli import main

    main()
