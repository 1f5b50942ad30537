"""A function that asks the gateway of the tests for its answer."""
import os
from urllib.request import Request, urlopen

# On AWS it is a host and a port; the local stack has a path that only the function knows.
API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"].removeprefix("http://") + "/2018-06-01/runtime/invocation"
ASK = f"{os.environ['GATEWAY']}/2015-03-31/functions/{os.environ['AWS_LAMBDA_FUNCTION_NAME']}/invocations"

while True:
    with urlopen(f"{API}/next") as event:
        request_id, payload = event.headers["Lambda-Runtime-Aws-Request-Id"], event.read()
    with urlopen(Request(ASK, payload)) as answer:
        outcome = "error" if answer.headers.get("X-Amz-Function-Error") else "response"
        body = answer.read()
    urlopen(Request(f"{API}/{request_id}/{outcome}", body)).close()
