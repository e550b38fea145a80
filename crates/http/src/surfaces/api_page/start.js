"use strict";

window.ui = SwaggerUIBundle({
  dom_id: "#api",
  urls: [
    { name: "Native", url: "v1/openapi.json" },
    { name: "Lumen", url: "api/openapi.json" },
    { name: "Lava", url: "lava/v1/openapi.json" },
  ],
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // A key is kept in the page alone, and forgotten when the page is left.
  persistAuthorization: false,
  // Nothing is sent to a service that checks documents.
  validatorUrl: "none",
});
