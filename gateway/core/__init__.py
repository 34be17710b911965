"""Pure domain: no asyncio, clock, socket, logger, pydantic, aiohttp, pymodbus or bacpypes3 in here."""
