"""Drives Duo's own Python client: a call a line comes in as JSON, its outcome goes out as JSON."""
import json
import sys

import duo_client

ikey, skey, port, ca = sys.argv[1:5]
print(json.dumps({"version": duo_client.__version__ if hasattr(duo_client, "__version__") else duo_client.client.__version__}), flush=True)
auth = duo_client.Auth(ikey=ikey, skey=skey, host="localhost", ca_certs=ca, port=int(port))
for line in sys.stdin:
    call = json.loads(line)
    try:
        outcome = {"response": getattr(auth, call["name"])(**call["params"])}
    except RuntimeError as error:
        outcome = {"error": json.loads(error.data) if isinstance(error.data, (str, bytes)) else error.data}
    print(json.dumps(outcome), flush=True)
