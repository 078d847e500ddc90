// The service that Restate is measured with, by its own SDK: start, wait up to a day to be resumed by
// key, one step.
//
//     node restate_order.mjs PORT

import { createSocket } from "node:dgram";
import { createServer } from "node:http2";
import * as restate from "@restatedev/restate-sdk";

// The SDK expects what Node.js has since version 22.
Promise.withResolvers ??= function () {
  const made = {};
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

const socket = createSocket("udp4");

function tell(key, port) {
  return new Promise((resolve, reject) => {
    socket.send(key, port, "127.0.0.1", (error) => (error ? reject(error) : resolve()));
  });
}

const order = restate.workflow({
  name: "order",
  handlers: {
    run: async (ctx) => {
      const paid = await ctx.promise("paid").get().orTimeout({ hours: 24 });
      const { key, port } = paid.data;
      await ctx.run("tell", () => tell(key, port));
    },
    pay: async (ctx, paid) => {
      await ctx.promise("paid").resolve(paid);
    },
  },
});

const server = createServer(restate.createEndpointHandler({ services: [order] }));
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log('{"ready": true}'));
