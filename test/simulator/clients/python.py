"""Drives Duo's own Python client: a call a line comes in as JSON, its outcome goes out as JSON."""
import json
import sys

import duo_client

ikey, skey, port, ca = sys.argv[1:5]
print(json.dumps({"version": duo_client.__version__ if hasattr(duo_client, "__version__") else duo_client.client.__version__}), flush=True)
auth = duo_client.Auth(ikey=ikey, skey=skey, host="localhost", ca_certs=ca, port=int(port))
for line in sys.stdin:
    call = json.loads(line)
    params = call["params"]
    try:
        if call.get("raw"):  # Debian's does not know each parameter by name, but sends what it is given
            response = auth.json_api_call("POST", "/auth/v2/" + call["name"], params)
        else:
            response = getattr(auth, call["name"])(**params)
        outcome = {"response": response[1:4].decode() if isinstance(response, bytes) else response}
    except RuntimeError as error:
        outcome = {"error": json.loads(error.data) if isinstance(error.data, (str, bytes)) else error.data}
    print(json.dumps(outcome), flush=True)
