"""Calls AWS: a request a line ([service, operation, parameters]), an answer a line."""
import json
import sys

import boto3

clients = {}
for line in sys.stdin:
    service, operation, parameters = json.loads(line)
    try:
        if service not in clients:
            clients[service] = boto3.client(service)
        client = clients[service]
        if client.can_paginate(operation):
            result = client.get_paginator(operation).paginate(**parameters).build_full_result()
        else:
            result = getattr(client, operation)(**parameters)
        answer = {"ok": result}
    except Exception as error:
        answer = {"error": f"{service} {operation}: {error}"}
    print(json.dumps(answer, default=str), flush=True)
