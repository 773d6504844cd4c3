"""OpenAI's own package, as a program uses it. Says `ok` when all of it is as the package promises."""

import os

import openai

BASE, KEY, POOR = os.environ["BASE_URL"], os.environ["KEY"], os.environ["POOR_KEY"]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


def client(key):
    return openai.OpenAI(base_url=BASE, api_key=key, max_retries=0)


def ask(content, **more):
    key = more.pop("key", KEY)
    model = more.pop("model", "qimate-demo")
    return client(key).chat.completions.create(model=model, messages=[{"role": "user", "content": content}], **more)


def fails(kind, status, code, **more):
    try:
        ask(more.pop("content", "hi"), **more)
    except kind as error:
        assert (error.status_code, error.code) == (status, code), (error.status_code, error.code)
        assert error.request_id.startswith("req_"), error.request_id
        return error
    raise AssertionError(f"{kind} was expected")


answer = ask("hi")
assert answer.choices[0].message.content == "hello there", answer
assert answer.usage.total_tokens > 0

text, usage = "", None
for chunk in ask("hi", stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    text += "".join(choice.delta.content or "" for choice in chunk.choices)
assert (text, usage.total_tokens > 0) == ("hello there", True), (text, usage)
assert all(chunk.usage is None for chunk in ask("hi", stream=True))

call = ask("tool", tools=TOOLS).choices[0].message.tool_calls[0]
assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Kunming"}'), call
with client(KEY).chat.completions.stream(
    model="qimate-demo", messages=[{"role": "user", "content": "tool"}], tools=TOOLS
) as stream:
    call = stream.get_final_completion().choices[0].message.tool_calls[0]
assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Kunming"}'), call

seen = ask([{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PICTURE}}])
assert seen.choices[0].message.content == "a picture", seen

assert [model.id for model in client(KEY).models.list()] == ["qimate-demo"]
assert client(KEY).models.retrieve("qimate-demo").id == "qimate-demo"
vectors = client(KEY).embeddings.create(model="qimate-demo", input=["a", "b"])
assert [vector.embedding for vector in vectors.data] == [[0.5, -0.25], [0.5, -0.25]], vectors

fails(openai.AuthenticationError, 401, "invalid_api_key", key="sk-wrong")
fails(openai.NotFoundError, 404, "model_not_found", model="gpt-9")
fails(openai.BadRequestError, 400, "invalid_request", max_tokens=-1)
fails(openai.BadRequestError, 400, "context_length_exceeded", content="too long")
fails(openai.InternalServerError, 502, "upstream_failed", content="broken")
ask("hi", key=POOR)
error = fails(openai.RateLimitError, 429, "rate_limit_exceeded", key=POOR)
assert "1 of 1 used" in error.message and int(error.response.headers["retry-after"]) > 0, error.message
try:
    list(ask("cut", stream=True))
    raise AssertionError("a stream that breaks was taken for whole")
except openai.APIError as error:
    assert error.code == "upstream_failed", error
print("ok")
