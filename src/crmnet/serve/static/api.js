// The page of the API: Swagger UI with the OpenAPI document of this server, and nothing else.
"use strict";
window.SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null, // no badge from another server
  tryItOutEnabled: true,
});
