// One official SDK, one model, every scenario. Reads {dialect, address, key, model} as JSON from argv[2];
// prints what came back as one JSON object: text, tool calls and usage, in the words of no dialect.

const asked = JSON.parse(process.argv[2]);
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, celsius: { type: "integer" } },
  required: ["city", "celsius"],
  additionalProperties: false,
};
const WEATHER = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const QUESTION = "What is the weather in Lisbon today?";
const MAX_TOKENS = 200;

async function told(work) {
  try {
    return await work();
  } catch (error) {
    return { status: error.status ?? null, code: error.code ?? null, name: error.name, message: String(error.message) };
  }
}

async function openaiChat() {
  const { default: OpenAI } = await import("openai");
  const client = new OpenAI({ apiKey: asked.key, baseURL: `${asked.address}/v1`, maxRetries: 0 });
  const create = (body) => client.chat.completions.create({ model: asked.model, max_tokens: MAX_TOKENS, ...body });
  const user = (content) => ({ role: "user", content });
  const tools = [
    { type: "function", function: { name: "get_weather", description: "Looks up the weather.", parameters: WEATHER } },
  ];
  const read = (answer) => ({
    text: answer.choices[0].message.content ?? "",
    input: answer.usage.prompt_tokens,
    output: answer.usage.completion_tokens,
  });
  return {
    plain: async () => read(await create({ messages: [user("Say hello.")] })),
    stream: async () => {
      let text = "";
      let usage = null;
      const body = { messages: [user("Say hello.")], stream: true, stream_options: { include_usage: true } };
      for await (const chunk of await create(body)) {
        text += chunk.choices[0]?.delta.content ?? "";
        usage = chunk.usage ?? usage;
      }
      return { text, input: usage.prompt_tokens, output: usage.completion_tokens, cost: usage.cost };
    },
    tools: async () => {
      const messages = [user(QUESTION)];
      const first = await create({ messages, tools });
      const said = first.choices[0].message;
      const [call] = said.tool_calls;
      messages.push(said, { role: "tool", tool_call_id: call.id, content: "21 degrees" });
      const second = await create({ messages, tools });
      return { name: call.function.name, given: JSON.parse(call.function.arguments), ...read(second) };
    },
    image: async () => {
      const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } };
      return read(await create({ messages: [user([{ type: "text", text: "What is this?" }, picture])] }));
    },
    schema: async () => {
      const json_schema = { name: "weather", strict: true, schema: SCHEMA };
      return read(await create({ messages: [user(QUESTION)], response_format: { type: "json_schema", json_schema } }));
    },
    unknown_model: () => client.chat.completions.create({ model: "no-such-model", messages: [user("Hello")] }),
    bad_key: () =>
      new OpenAI({ apiKey: "llm_sk_wrong", baseURL: `${asked.address}/v1`, maxRetries: 0 }).chat.completions.create({
        model: asked.model,
        messages: [user("Hello")],
      }),
  };
}

async function openaiResponses() {
  const { default: OpenAI } = await import("openai");
  const client = new OpenAI({ apiKey: asked.key, baseURL: `${asked.address}/v1`, maxRetries: 0 });
  const create = (body) => client.responses.create({ model: asked.model, max_output_tokens: MAX_TOKENS, ...body });
  const tools = [
    { type: "function", name: "get_weather", description: "Looks up the weather.", parameters: WEATHER, strict: true },
  ];
  const read = (answer) => ({
    text: answer.output_text,
    input: answer.usage.input_tokens,
    output: answer.usage.output_tokens,
  });
  return {
    plain: async () => read(await create({ input: "Say hello." })),
    stream: async () => {
      let text = "";
      let last = null;
      for await (const event of await create({ input: "Say hello.", stream: true })) {
        if (event.type === "response.output_text.delta") text += event.delta;
        last = event.response ?? last;
      }
      return { text, input: last.usage.input_tokens, output: last.usage.output_tokens, cost: last.usage.cost };
    },
    tools: async () => {
      const input = [{ role: "user", content: QUESTION }];
      const first = await create({ input, tools });
      const call = first.output.find((item) => item.type === "function_call");
      input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: "21 degrees" });
      const second = await create({ input, tools });
      return { name: call.name, given: JSON.parse(call.arguments), ...read(second) };
    },
    image: async () => {
      const picture = { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${PIXEL}` };
      const content = [{ type: "input_text", text: "What is this?" }, picture];
      return read(await create({ input: [{ role: "user", content }] }));
    },
    schema: async () => {
      const format = { type: "json_schema", name: "weather", strict: true, schema: SCHEMA };
      return read(await create({ input: QUESTION, text: { format } }));
    },
    unknown_model: () => client.responses.create({ model: "no-such-model", input: "Hello" }),
    bad_key: () =>
      new OpenAI({ apiKey: "llm_sk_wrong", baseURL: `${asked.address}/v1`, maxRetries: 0 }).responses.create({
        model: asked.model,
        input: "Hello",
      }),
  };
}

async function anthropicMessages() {
  const { default: Anthropic } = await import("@anthropic-ai/sdk");
  const client = new Anthropic({ apiKey: asked.key, baseURL: asked.address, maxRetries: 0 });
  const create = (body) => client.messages.create({ model: asked.model, max_tokens: MAX_TOKENS, ...body });
  const user = (content) => ({ role: "user", content });
  const tools = [{ name: "get_weather", description: "Looks up the weather.", input_schema: WEATHER }];
  const text = (message) =>
    message.content
      .filter((block) => block.type === "text")
      .map((block) => block.text)
      .join("");
  const read = (message) => ({
    text: text(message),
    input:
      message.usage.input_tokens +
      (message.usage.cache_read_input_tokens ?? 0) +
      (message.usage.cache_creation_input_tokens ?? 0),
    output: message.usage.output_tokens,
    cost: message.usage.cost,
  });
  return {
    plain: async () => read(await create({ messages: [user("Say hello.")] })),
    stream: async () => {
      const stream = client.messages.stream({
        model: asked.model,
        max_tokens: MAX_TOKENS,
        messages: [user("Say hello.")],
      });
      return read(await stream.finalMessage());
    },
    tools: async () => {
      const messages = [user(QUESTION)];
      const first = await create({ messages, tools });
      const call = first.content.find((block) => block.type === "tool_use");
      const result = { type: "tool_result", tool_use_id: call.id, content: "21 degrees" };
      messages.push({ role: "assistant", content: first.content }, user([result]));
      const second = await create({ messages, tools });
      return { name: call.name, given: call.input, ...read(second) };
    },
    image: async () => {
      const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } };
      return read(await create({ messages: [user([picture, { type: "text", text: "What is this?" }])] }));
    },
    schema: async () => {
      const output_config = { format: { type: "json_schema", schema: SCHEMA } };
      return read(await create({ messages: [user(QUESTION)], output_config }));
    },
    unknown_model: () =>
      client.messages.create({ model: "no-such-model", max_tokens: MAX_TOKENS, messages: [user("Hello")] }),
    bad_key: () =>
      new Anthropic({ apiKey: "llm_sk_wrong", baseURL: asked.address, maxRetries: 0 }).messages.create({
        model: asked.model,
        max_tokens: MAX_TOKENS,
        messages: [user("Hello")],
      }),
  };
}

async function gemini() {
  const { GoogleGenAI } = await import("@google/genai");
  const made = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: asked.address } });
  const client = made(asked.key);
  const config = { maxOutputTokens: MAX_TOKENS };
  const create = (contents, more = {}) =>
    client.models.generateContent({ model: asked.model, contents, config: { ...config, ...more } });
  const tools = [
    {
      functionDeclarations: [
        { name: "get_weather", description: "Looks up the weather.", parametersJsonSchema: WEATHER },
      ],
    },
  ];
  const read = (answer) => ({
    text: answer.text ?? "",
    input: answer.usageMetadata.promptTokenCount + (answer.usageMetadata.toolUsePromptTokenCount ?? 0),
    output: (answer.usageMetadata.candidatesTokenCount ?? 0) + (answer.usageMetadata.thoughtsTokenCount ?? 0),
  });
  return {
    plain: async () => read(await create("Say hello.")),
    stream: async () => {
      let text = "";
      let last = null;
      const stream = await client.models.generateContentStream({ model: asked.model, contents: "Say hello.", config });
      for await (const chunk of stream) {
        text += chunk.text ?? "";
        last = chunk.usageMetadata ? chunk : last;
      }
      return { ...read(last), text };
    },
    tools: async () => {
      const contents = [{ role: "user", parts: [{ text: QUESTION }] }];
      const first = await create(contents, { tools });
      const [call] = first.functionCalls;
      const response = { id: call.id, name: call.name, response: { output: "21 degrees" } };
      contents.push(first.candidates[0].content, { role: "user", parts: [{ functionResponse: response }] });
      const second = await create(contents, { tools });
      return { name: call.name, given: call.args, ...read(second) };
    },
    image: async () => {
      const picture = { inlineData: { mimeType: "image/png", data: PIXEL } };
      return read(await create([{ role: "user", parts: [{ text: "What is this?" }, picture] }]));
    },
    schema: async () =>
      read(await create(QUESTION, { responseMimeType: "application/json", responseJsonSchema: SCHEMA })),
    unknown_model: () => client.models.generateContent({ model: "no-such-model", contents: "Hello" }),
    bad_key: () => made("llm_sk_wrong").models.generateContent({ model: asked.model, contents: "Hello" }),
  };
}

const DIALECTS = {
  openai_chat: openaiChat,
  openai_responses: openaiResponses,
  anthropic_messages: anthropicMessages,
  gemini,
};

const answers = {};
for (const [scenario, ask] of Object.entries(await DIALECTS[asked.dialect]())) {
  answers[scenario] = await told(ask);
}
console.log(JSON.stringify(answers));
