import "./fleet";
import "./buckets";
import "./map";
