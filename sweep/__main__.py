"""`python -m sweep`."""

from sweep.process.import_order import put_working_folder_last

if __name__ == "__main__":
    put_working_folder_last()

    from sweep.cli.app import main

    main()
