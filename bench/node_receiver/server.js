// The webhook receiver that a good Node team writes: Fastify, Svix' own verifier, a pool of pg, and one prepared
// INSERT … ON CONFLICT per webhook, which is answered after its commit. Kept as a baseline of `make bench`.
// Needs DATABASE_URL and WEBHOOK_SECRET in the environment, and the port as its argument.

import Fastify from "fastify";
import pg from "pg";
import { Webhook, WebhookVerificationError } from "svix";

const CREATE_TABLE = `
  CREATE TABLE IF NOT EXISTS node_webhooks (
    message_id text PRIMARY KEY,
    event text,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    received_count integer NOT NULL DEFAULT 1
  )`;
const STORE = {
  name: "store-webhook",
  text: `
    INSERT INTO node_webhooks AS w (message_id, event, body) VALUES ($1, $2, $3)
    ON CONFLICT (message_id) DO UPDATE SET received_count = w.received_count + 1`,
};

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 20 });
const verifier = new Webhook(process.env.WEBHOOK_SECRET);
const app = Fastify({ bodyLimit: 1024 * 1024 });

// The signature covers the bytes, so that the body is kept as it came.
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (request, body, done) => done(null, body));

app.get("/livez", async () => ({ status: "ok" }));

app.post("/webhooks/dots", async (request, reply) => {
  let content;
  try {
    content = verifier.verify(request.body, request.headers);
  } catch (error) {
    if (error instanceof WebhookVerificationError) {
      return reply.code(401).send();
    }
    throw error;
  }
  await pool.query({ ...STORE, values: [request.headers["svix-id"], content.event, request.body] });
  return reply.code(204).send();
});

await pool.query(CREATE_TABLE);
await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });

process.once("SIGTERM", async () => {
  await app.close();
  await pool.end();
});
