import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const server = createServer(async (request, response) => {
  try {
    const event = webhook.verify(await buffer(request), request.headers);
    console.log(event.id, event.type, event.data); // Handle the event here. 2xx confirms that you have handled it.
    response.writeHead(204).end();
  } catch (error) {
    response.writeHead(error instanceof WebhookVerificationError ? 401 : 500).end();
  }
});
server.listen(process.env.PORT ?? 8080, () => console.log("listening on", server.address().port));
