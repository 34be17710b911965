// made by the Swagger page
window.onload = function() {
  var url = window.location.search.match(/url=([^&]+)/);
  let options = {
 "swaggerDoc": {
  "swagger": "2.0",
  "info": {
   "title": "EVCE simulator",
   "version": "2.0"
  },
  "host": "192.168.0.128",
  "basePath": "/api/v2",
  "schemes": [
   "https"
  ],
  "paths": {
   "/login/login": {
    "post": {
     "parameters": [
      {
       "name": "body",
       "in": "body",
       "schema": {
        "$ref": "#/definitions/user_standard_login"
       }
      }
     ],
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/login_token"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/login/logout": {
    "post": {
     "responses": {
      "200": {
       "description": "OK"
      }
     }
    }
   },
   "/login/passwd": {
    "post": {
     "requestBody": {
      "required": true,
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "required": [
          "old_password",
          "new_password"
         ],
         "properties": {
          "old_password": {
           "type": "string"
          },
          "new_password": {
           "type": "string"
          }
         }
        }
       }
      }
     },
     "responses": {
      "200": {
       "description": "OK"
      }
     }
    }
   },
   "/stations": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/station"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/stations/statuses": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/station_status"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/stations/models": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "type": "object",
         "required": [
          "type",
          "name",
          "max_current",
          "phases"
         ],
         "properties": {
          "type": {
           "type": "string"
          },
          "name": {
           "type": "string"
          },
          "max_current": {
           "type": "integer",
           "description": "in A"
          },
          "phases": {
           "type": "integer"
          }
         }
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/stations/firmwares": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/firmware"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/stations/firmwares/{firmware_id}": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/firmware"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "firmware_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/stations/diagnostics": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/report"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/stations/{station_id}": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/station"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "station_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    },
    "put": {
     "parameters": [
      {
       "name": "body",
       "in": "body",
       "schema": {
        "$ref": "#/definitions/station"
       }
      }
     ],
     "responses": {
      "200": {
       "description": "OK"
      }
     }
    }
   },
   "/stations/{station_id}/status": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/station_status"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "station_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/stations/{station_id}/firmware": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "object",
        "required": [
         "version",
         "firmware_id"
        ],
        "properties": {
         "version": {
          "type": "string"
         },
         "firmware_id": {
          "type": "integer",
          "x-nullable": true
         }
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "station_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/stations/{station_id}/diagnostics": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/report"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "station_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/stations/{station_id}/cmds/reset": {
    "post": {
     "parameters": [
      {
       "name": "body",
       "in": "body",
       "schema": {
        "type": "object",
        "required": [
         "type"
        ],
        "properties": {
         "type": {
          "type": "string",
          "enum": [
           "Soft",
           "Hard"
          ]
         }
        }
       }
      }
     ],
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/station_cmd_id"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/stations/{station_id}/cmds/status/{cmd_id}": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/station_cmd_status"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "station_id",
       "in": "path",
       "required": true,
       "type": "integer"
      },
      {
       "name": "cmd_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/em/zones": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/zone"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/em/zones/{zone_id}": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/zone"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "zone_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    },
    "put": {
     "parameters": [
      {
       "name": "body",
       "in": "body",
       "schema": {
        "$ref": "#/definitions/zone"
       }
      }
     ],
     "responses": {
      "200": {
       "description": "OK"
      }
     }
    }
   },
   "/em/zones/{zone_id}/status": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/zone_status"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "zone_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/em/zones/{zone_id}/reduction": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/zone_reduction"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "zone_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    },
    "put": {
     "parameters": [
      {
       "name": "body",
       "in": "body",
       "schema": {
        "$ref": "#/definitions/zone_reduction"
       }
      }
     ],
     "responses": {
      "200": {
       "description": "OK"
      }
     }
    }
   },
   "/em/zones/{zone_id}/stations": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "type": "integer"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "zone_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/pms": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/pm"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/pms/{pm_id}": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/pm"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "pm_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/pms/{pm_id}/values": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/pm_values"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "pm_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/pms/models": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/pm_model"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   },
   "/pms/models/{pm_model_id}": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "$ref": "#/definitions/pm_model"
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     },
     "parameters": [
      {
       "name": "pm_model_id",
       "in": "path",
       "required": true,
       "type": "integer"
      }
     ]
    }
   },
   "/transactions/ongoing": {
    "get": {
     "responses": {
      "200": {
       "description": "OK",
       "schema": {
        "type": "array",
        "items": {
         "type": "object"
        }
       }
      },
      "401": {
       "description": "token"
      },
      "403": {
       "$ref": "#/responses/generic"
      }
     }
    }
   }
  },
  "definitions": {
   "generic_error": {
    "type": "object",
    "required": [
     "code",
     "message"
    ],
    "properties": {
     "code": {
      "type": "integer"
     },
     "message": {
      "type": "string"
     }
    }
   },
   "firmware": {
    "type": "object",
    "required": [
     "id",
     "file_name",
     "station_type",
     "version"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "file_name": {
      "type": "string"
     },
     "station_type": {
      "type": "string"
     },
     "version": {
      "type": "string"
     }
    }
   },
   "report": {
    "type": "object",
    "required": [
     "id",
     "station_id",
     "file_name"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "station_id": {
      "type": "integer"
     },
     "file_name": {
      "type": "string"
     }
    }
   },
   "pm_modbus_register": {
    "type": "object",
    "required": [
     "name",
     "address",
     "function",
     "type"
    ],
    "properties": {
     "name": {
      "type": "string"
     },
     "address": {
      "type": "integer"
     },
     "function": {
      "type": "integer",
      "enum": [
       3,
       4
      ]
     },
     "type": {
      "type": "string"
     }
    }
   },
   "pm_model": {
    "type": "object",
    "required": [
     "id",
     "desc"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "desc": {
      "type": "object",
      "required": [
       "name",
       "registers"
      ],
      "properties": {
       "name": {
        "type": "string"
       },
       "registers": {
        "type": "array",
        "items": {
         "$ref": "#/definitions/pm_modbus_register"
        }
       }
      }
     }
    }
   },
   "user_standard_login": {
    "type": "object",
    "required": [
     "login",
     "password"
    ],
    "properties": {
     "login": {
      "type": "string"
     },
     "password": {
      "type": "string",
      "format": "password"
     }
    }
   },
   "login_token": {
    "type": "object",
    "required": [
     "token"
    ],
    "properties": {
     "token": {
      "type": "string"
     }
    }
   },
   "station_ocpp_status": {
    "type": "string",
    "enum": [
     "Available",
     "Preparing",
     "Charging",
     "SuspendedEVSE",
     "SuspendedEV",
     "Finishing",
     "Reserved",
     "Unavailable",
     "Faulted"
    ]
   },
   "phase_currents": {
    "type": "object",
    "required": [
     "l1",
     "l2",
     "l3"
    ],
    "properties": {
     "l1": {
      "type": "number",
      "description": "Current of phase 1 (A)"
     },
     "l2": {
      "type": "number",
      "description": "Current of phase 2 (A)"
     },
     "l3": {
      "type": "number",
      "description": "Current of phase 3 (A)"
     }
    }
   },
   "station_config": {
    "type": "object",
    "required": [
     "friendly_name",
     "max_current",
     "phases",
     "priority"
    ],
    "properties": {
     "friendly_name": {
      "type": "string"
     },
     "max_current": {
      "type": "number",
      "description": "Installed maximum, in A"
     },
     "phases": {
      "type": "integer",
      "enum": [
       1,
       3
      ]
     },
     "priority": {
      "type": "string",
      "enum": [
       "standard",
       "vip"
      ]
     }
    }
   },
   "station_header": {
    "type": "object",
    "required": [
     "id",
     "type"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "type": {
      "type": "string"
     }
    }
   },
   "station": {
    "allOf": [
     {
      "$ref": "#/definitions/station_header"
     },
     {
      "type": "object",
      "required": [
       "config",
       "evses"
      ],
      "properties": {
       "config": {
        "$ref": "#/definitions/station_config"
       },
       "evses": {
        "type": "array",
        "items": {
         "type": "object",
         "required": [
          "id",
          "connectors"
         ],
         "properties": {
          "id": {
           "type": "integer"
          },
          "connectors": {
           "type": "array",
           "items": {
            "type": "object",
            "required": [
             "id",
             "type"
            ],
            "properties": {
             "id": {
              "type": "integer"
             },
             "type": {
              "type": "string"
             }
            }
           }
          }
         }
        }
       }
      }
     }
    ]
   },
   "evse_connector_status": {
    "type": "object",
    "required": [
     "id",
     "status",
     "current"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "status": {
      "$ref": "#/definitions/station_ocpp_status"
     },
     "current": {
      "type": "number",
      "description": "(A)"
     }
    }
   },
   "evse_status": {
    "type": "object",
    "required": [
     "id",
     "connectors"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "connectors": {
      "type": "array",
      "items": {
       "$ref": "#/definitions/evse_connector_status"
      }
     }
    }
   },
   "station_status": {
    "type": "object",
    "required": [
     "id",
     "status",
     "online",
     "availability",
     "current",
     "power",
     "energy",
     "setpoint",
     "evses"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "status": {
      "$ref": "#/definitions/station_ocpp_status"
     },
     "online": {
      "type": "boolean"
     },
     "availability": {
      "type": "string",
      "enum": [
       "Operative",
       "Inoperative"
      ]
     },
     "current": {
      "$ref": "#/definitions/phase_currents"
     },
     "power": {
      "type": "number",
      "description": "Active power in kW"
     },
     "energy": {
      "type": "integer",
      "description": "Energy delivered, Wh",
      "x-unit": "Wh"
     },
     "setpoint": {
      "type": "number",
      "description": "Allocated current in A"
     },
     "evses": {
      "type": "array",
      "items": {
       "$ref": "#/definitions/evse_status"
      }
     },
     "session": {
      "type": "object",
      "required": [
       "energy",
       "duration",
       "id_tag"
      ],
      "properties": {
       "energy": {
        "type": "integer",
        "x-unit": "Wh"
       },
       "duration": {
        "type": "integer",
        "description": "seconds since the start"
       },
       "id_tag": {
        "type": "string"
       }
      }
     }
    }
   },
   "zone_type": {
    "type": "string",
    "enum": [
     "current",
     "power"
    ]
   },
   "zone_desc": {
    "type": "object",
    "required": [
     "name",
     "type",
     "max_current",
     "parent"
    ],
    "properties": {
     "name": {
      "type": "string"
     },
     "type": {
      "$ref": "#/definitions/zone_type"
     },
     "max_current": {
      "type": "number",
      "description": "in A"
     },
     "parent": {
      "type": "integer",
      "x-nullable": true
     }
    }
   },
   "zone": {
    "type": "object",
    "required": [
     "id",
     "desc"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "desc": {
      "$ref": "#/definitions/zone_desc"
     }
    }
   },
   "zone_status": {
    "type": "object",
    "required": [
     "current",
     "power",
     "setpoint",
     "stations_charging",
     "stations_total"
    ],
    "properties": {
     "current": {
      "$ref": "#/definitions/phase_currents"
     },
     "power": {
      "type": "number",
      "description": "kW",
      "x-unit": "kW"
     },
     "setpoint": {
      "type": "number",
      "description": "Current setpoint (A)"
     },
     "stations_charging": {
      "type": "integer"
     },
     "stations_total": {
      "type": "integer"
     }
    }
   },
   "zone_reduction_type": {
    "type": "string",
    "enum": [
     "none",
     "current"
    ]
   },
   "zone_reduction_valid_mode": {
    "type": "string",
    "enum": [
     "permanent",
     "until"
    ]
   },
   "zone_reduction": {
    "type": "object",
    "required": [
     "type",
     "value",
     "valid_mode"
    ],
    "properties": {
     "type": {
      "$ref": "#/definitions/zone_reduction_type"
     },
     "value": {
      "type": "number",
      "description": "The current to which the zone is reduced, in A",
      "minimum": 0
     },
     "valid_mode": {
      "$ref": "#/definitions/zone_reduction_valid_mode"
     },
     "valid_until": {
      "type": "string",
      "format": "date-time"
     }
    }
   },
   "pm_desc": {
    "type": "object",
    "required": [
     "name",
     "type",
     "model",
     "tcp_address",
     "tcp_port"
    ],
    "properties": {
     "name": {
      "type": "string"
     },
     "type": {
      "type": "string"
     },
     "model": {
      "type": "integer"
     },
     "tcp_address": {
      "type": "string"
     },
     "tcp_port": {
      "type": "integer"
     }
    }
   },
   "pm": {
    "type": "object",
    "required": [
     "id",
     "desc"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "desc": {
      "$ref": "#/definitions/pm_desc"
     }
    }
   },
   "pm_meter_value": {
    "type": "object",
    "required": [
     "name",
     "unit",
     "value"
    ],
    "properties": {
     "name": {
      "type": "string",
      "enum": [
       "current_l1",
       "current_l2",
       "current_l3",
       "voltage_l1",
       "voltage_l2",
       "voltage_l3",
       "power",
       "energy"
      ]
     },
     "unit": {
      "type": "string",
      "enum": [
       "A",
       "V",
       "kW",
       "kWh"
      ]
     },
     "value": {
      "type": "number"
     }
    }
   },
   "pm_values": {
    "type": "object",
    "required": [
     "id",
     "timestamp",
     "values"
    ],
    "properties": {
     "id": {
      "type": "integer"
     },
     "timestamp": {
      "type": "string",
      "format": "date-time"
     },
     "values": {
      "type": "array",
      "items": {
       "$ref": "#/definitions/pm_meter_value"
      }
     }
    }
   },
   "station_cmd_id": {
    "type": "object",
    "required": [
     "cmd_id"
    ],
    "properties": {
     "cmd_id": {
      "type": "integer"
     }
    }
   },
   "command_status": {
    "type": "string",
    "enum": [
     "pending",
     "accepted",
     "rejected"
    ]
   },
   "station_cmd_status": {
    "type": "object",
    "required": [
     "cmd_id",
     "status"
    ],
    "properties": {
     "cmd_id": {
      "type": "integer"
     },
     "status": {
      "$ref": "#/definitions/command_status"
     }
    }
   }
  },
  "responses": {
   "generic": {
    "description": "refused",
    "schema": {
     "$ref": "#/definitions/generic_error"
    }
   }
  }
 },
 "customOptions": {
  "docExpansion": "none"
 }
};
  url = options.swaggerUrl || url;
};
