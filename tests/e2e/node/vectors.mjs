// Embeddings and pictures through the official SDK; prints what came of each as JSON.
// Asked with one argument: {address, key, embeds, draws, chats}.
import OpenAI from "openai";

const { address, key, embeds, draws, chats } = JSON.parse(process.argv[2]);
const client = new OpenAI({ apiKey: key, baseURL: `${address}/v1`, maxRetries: 0 });

const packed = await client.embeddings.create({ model: embeds, input: ["one", "two"], dimensions: 16 });
const plain = await client.embeddings.create({
  model: embeds, input: ["one", "two"], dimensions: 16, encoding_format: "float",
});
const whole = await client.images.generate({ model: draws, prompt: "a cat", quality: "low", size: "1024x1024" });
const events = [];
const stream = await client.images.generate({
  model: draws, prompt: "a cat", quality: "low", size: "1024x1024", stream: true, partial_images: 1,
});
for await (const event of stream) events.push(event);
const refused = await client.embeddings.create({ model: chats, input: "one" }).catch((error) => error);

console.log(JSON.stringify({
  vectors: [packed, plain].map((answer) => answer.data.map((entry) => entry.embedding)),
  tokens: [packed.usage.total_tokens, plain.usage.total_tokens],
  picture: { bytes: whole.data[0].b64_json.length, tokens: whole.usage.output_tokens },
  events: events.map((event) => event.type),
  last: events.at(-1).usage,
  refused: { status: refused.status, code: refused.code, message: refused.message },
}));
