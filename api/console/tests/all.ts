import "./fleet";
import "./buckets";
