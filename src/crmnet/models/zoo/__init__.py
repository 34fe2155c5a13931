"""The networks that CRMnet is compared with, one a file."""
