"""Send one request to the notes service: client.py METHOD PATH [JSON]; prints the answer, or its status and exits 1.

The token is taken from $TOKEN, the port from $PORT.
"""

import os
import sys
import urllib.error
import urllib.request


def main(method, path, body=None):
    """Print what the service answers."""
    headers = {"Authorization": f"Bearer {os.environ.get('TOKEN', '')}"}
    url = f"http://127.0.0.1:{os.environ['PORT']}{path}"
    data = body.encode() if body else None
    try:
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            print(answer.read().decode())
    except urllib.error.HTTPError as error:
        sys.exit(f"status {error.code}")
    except OSError as error:
        sys.exit(f"no answer: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
