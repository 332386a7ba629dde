wrk.method, wrk.body = "POST", '{"title":"x","rank":1}'
wrk.headers["Content-Type"], wrk.headers["Prefer"] = "application/json", "return=representation"
