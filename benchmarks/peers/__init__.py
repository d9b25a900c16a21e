"""Other designs and other servers, one file each, under the same load."""
