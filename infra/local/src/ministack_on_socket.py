"""MiniStack as the gateway runs it: on a unix socket, with keys that nobody can guess.

MiniStack takes the key "test", no key and any account id for root's, and makes the keys of its functions from their names.
Arguments: the socket. The environment has root's keys.
"""
import asyncio
import json
import os
import secrets
import sys
import threading
from urllib.parse import parse_qs

# What it unpacks and writes is its user's alone.
os.umask(0o077)

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as ministack
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import lambda_svc, sts

ROOT = os.environ["AWS_ACCESS_KEY_ID"]
RUNTIME_API = secrets.token_hex(16)
# The gateway answers nobody who asks for this.
KEYS = b"/_gateway/keys"


def is_root(access_key_id):
    return access_key_id == ROOT


def unguessable(issue, lock=threading.Lock()):
    """Keys of a function's role, as `issue` makes them, but random."""

    def credentials(config):
        with lock:
            session = sts._sessions.pop(issue(config)["AWS_ACCESS_KEY_ID"])
        key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(32)
        sts.register_session(key, {**session, "SecretAccessKey": secret, "SessionToken": token})
        return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}

    return credentials


def with_secret_path(environment):
    """The environment of a bootstrap, whose Runtime API answers under a path that only the bootstrap knows."""

    def of_bootstrap(config, code_dir, port):
        variables = environment(config, code_dir, port)
        variables["AWS_LAMBDA_RUNTIME_API"] = f"http://127.0.0.1:{port}/{RUNTIME_API}"
        return variables

    return of_bootstrap


def under_secret_path(build):
    """The Runtime API that `build` makes, for those who know its path."""

    def handler(worker, generation, pending):
        class Guarded(build(worker, generation, pending)):
            def parse_request(self):
                if not super().parse_request():
                    return False
                if secrets.compare_digest(self.path[: len(RUNTIME_API) + 2].encode(), f"/{RUNTIME_API}/".encode()):
                    return True
                self.send_error(403)
                return False

        return Guarded

    return handler


def as_aws_asks(extract):
    """The action that a request needs: on AWS PublishBatch needs sns:Publish, and there is no other for it."""

    def action(*arguments, **more):
        found = extract(*arguments, **more)
        return "sns:Publish" if found == "sns:PublishBatch" else found

    return action


def refuse(*_):
    raise NotImplementedError("durable functions do not run here: their Runtime API would answer everybody")


def keys_of(access_key_id):
    """What belongs to a key that was issued here."""
    try:
        account = iam_evaluator.find_iam_access_key_account(access_key_id)
    except iam_evaluator.AmbiguousAccessKeyError:
        return None
    session = sts._sessions.get(access_key_id) or {}
    account = account or session.get("AccountId") or (session.get("Arn") or "::::").split(":")[4] or None
    found = iam_evaluator.resolve_credential(access_key_id, account)
    if is_root(access_key_id) or isinstance(found, iam_evaluator.CredentialResolutionError):
        return None
    return {"secret": found.secret_access_key, "token": found.session_token, "arn": found.principal_arn}


async def app(scope, receive, send):
    if scope["type"] != "http" or scope["raw_path"] != KEYS:
        await ministack.app(scope, receive, send)
        return
    asked = parse_qs(scope["query_string"].decode()).get("id", [""])[0]
    body = json.dumps(keys_of(asked)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


for module in (iam_evaluator, sts):
    assert module.is_root_access_key
    module.is_root_access_key = is_root
iam_actions.extract_iam_action = as_aws_asks(iam_actions.extract_iam_action)
lambda_runtime.execution_credentials = unguessable(lambda_runtime.execution_credentials)
lambda_svc.execution_credentials = lambda_runtime.execution_credentials
lambda_svc._provided_worker_env = with_secret_path(lambda_svc._provided_worker_env)
lambda_svc._execute_function_provided = refuse
lambda_runtime.ProvidedWorker._build_handler_class = under_secret_path(lambda_runtime.ProvidedWorker._build_handler_class)

config = Config()
config.bind = [f"unix:{sys.argv[1]}"]
config.keep_alive_timeout = 75
config.loglevel = "INFO"
asyncio.run(serve(app, config))
